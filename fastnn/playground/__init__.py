"""A page in the browser on which networks are trained and looked at: ``python -m fastnn playground``.

It needs the extra ``playground``. The page is shown by this machine to itself alone.
"""
