"""The command `ftml`: `app` reads the arguments, a module a command does the work.

Nothing heavy is imported before a command needs it, so that `ftml --help` is there at
once.
"""
