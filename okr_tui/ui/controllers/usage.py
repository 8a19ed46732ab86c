"""What a person can do with usage: open its screen, read its sums, and write its tables to files."""

from okr_tui.ui import bridge
from okr_tui.ui.controllers.application import LONG, Application, open_service, send


class UsageController:
    """Opens the usage screen, which loads when it is first opened, and serves what it requests."""

    def __init__(self, app: Application) -> None:
        self._app = app

    def open(self) -> None:
        """Open the screen."""
        from okr_tui.ui.screens.usage import UsageScreen

        open_service(self._app)
        self._app.push_screen(UsageScreen(self._app.zone, self._app.clock, self._app.keymap))

    def read(self, event: bridge.UsageRequested) -> None:
        """Read the sums that the screen requests."""
        if service := self._app.service:
            self._app.start(bridge.usage(service, event, self._app.post_message), group="usage")
        else:
            event.screen.show(event.period, None, "the service is not open")

    def show(self, event: bridge.UsageArrived) -> None:
        """Pass the sums to the screen, unless it is closed."""
        if event.request.screen.is_attached:
            event.request.screen.show(event.request.period, event.report, event.problem)

    def export(self, event: bridge.ExportRequested) -> None:
        """Write a table to files."""
        from okr_tui.ui.screens.usage import write_table

        send(self._app, write_table(event.stem, {"csv": event.csv, "json": event.json}), LONG)
