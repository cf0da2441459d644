"""The command line: what a person types to run, ask and judge Doorstep."""
