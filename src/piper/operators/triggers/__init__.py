"""What deferred tasks wait for (`piper.sdk.trigger` has the theory)."""
