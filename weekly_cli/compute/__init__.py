"""Weekly bars and features of arrays: what is computed, with no file and no dataset in sight."""
