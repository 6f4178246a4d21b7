//! Settings: command line > environment > YAML > defaults, each with its origin.
