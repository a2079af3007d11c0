"""Directories to recorded episodes: RLDS, LeRobot, folders of videos, stores."""
