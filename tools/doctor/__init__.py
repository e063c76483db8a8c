"""``outcry doctor``: what is missing, wrong or slow on this machine, and the command that mends it.

A check is one function of ``Where`` that gives a ``Found``; its name is that of the function.  It
changes nothing, takes no lock, and reads of a live exchange only what ``outcry journal verify`` or
``outcry top`` read too.
"""
