"""Tasks that wait until something is so (`piper.sdk.sensor` has the theory)."""
