"""`send_email`, through the SMTP provider."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from piper.sdk.exceptions import AirflowOptionalProviderFeatureException


def send_email(to: Any, subject: str, html_content: str, **options: Any) -> None:
    """Send a mail.

    Raises:
        AirflowOptionalProviderFeatureException: the provider is not installed.
    """
    try:
        hook = import_module("airflow.providers.smtp.hooks.smtp").SmtpHook
    except ImportError as error:
        raise AirflowOptionalProviderFeatureException(
            f"send_email needs the SMTP provider: pip install --no-deps apache-airflow-providers-smtp ({error})"
        ) from None
    with hook(smtp_conn_id=options.pop("conn_id", None) or "smtp_default") as smtp:
        smtp.send_email_smtp(to=to, subject=subject, html_content=html_content, **options)
