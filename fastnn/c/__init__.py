"""Models as C files: see `fastnn.Model.to_c`."""
