"""What a run would need and how fast it could be on hardware that is not here: `wamjax plan`."""
