"""Episodes to disk: RLDS in the layout of TFDS, and stores."""
