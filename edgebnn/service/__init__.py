"""What the services share. `notify` needs the standard library alone; `web`, `metrics` and MQTT the extra [service].

notify.py    systemd: ready, watchdog, status     log.py       one line per event, secrets masked
settings.py  typed settings, secrets              live.py      settings that change while a service runs
fields.py default_file.py                         the commented configuration file, made from the models
mqtt.py entities.py                               a device in Home Assistant
web/ web_settings.py                              pages: access rules, streams, the server
metrics.py   Prometheus                           board.py     temperature, throttling, memory of the board
state.py     small files, whole after power cuts  command.py  run, --check-config, default-config of a service
"""
