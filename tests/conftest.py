"""What all tests need."""

import signal

# A shell that runs a command in the background lets it ignore Ctrl-C, and so would the processes that
# the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
