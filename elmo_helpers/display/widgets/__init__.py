"""To try with mouse or keyboard below a notebook's cell: controls over plot functions and the trainer."""
