"""What the services share: systemd, settings, logging, MQTT, web pages, metrics."""
