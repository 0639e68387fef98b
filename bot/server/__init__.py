"""The HTTP server: `app.build_app` makes the application, `run.serve` serves it. Importing this loads no aiohttp."""
