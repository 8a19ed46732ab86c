"""The screens: the dashboard, and the dialogs and pages on top of it."""
