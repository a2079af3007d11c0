"""The door: `wamjax <verb>`."""
