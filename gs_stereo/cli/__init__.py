"""The command line: one thin function a verb. Heavy imports happen inside the verbs."""
