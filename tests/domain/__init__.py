"""The domain: values in, decisions out."""
