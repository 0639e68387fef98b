"""Rasa's Socket.IO channel. Importing this loads python-socketio."""

from connectors.socketio.channel import SocketIOChannel as SocketIOChannel
