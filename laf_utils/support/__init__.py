"""What every room stands on and no result depends on: it imports nothing of this package."""
