"""Files and names of other programs: models come in and go out."""
