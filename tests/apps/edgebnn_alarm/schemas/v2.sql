-- A database of version 2, as that version wrote it.
CREATE TABLE alarms (id INTEGER PRIMARY KEY, body TEXT NOT NULL);
CREATE TABLE journal (
    id INTEGER PRIMARY KEY, utc_s REAL NOT NULL, boot_s REAL NOT NULL, boot_id TEXT NOT NULL,
    kind TEXT NOT NULL, text TEXT NOT NULL, author TEXT,
    alarm INTEGER, date TEXT, time TEXT, snooze INTEGER, deadline_s REAL);
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1), boot_id TEXT NOT NULL, kernel_epoch_s REAL NOT NULL,
    offset_s REAL NOT NULL, verified INTEGER NOT NULL, utc_s REAL NOT NULL, zone TEXT NOT NULL DEFAULT '');
INSERT INTO alarms VALUES
(1, '{"id": 1, "name": "Work", "time": "07:00", "weekdays": ["mon", "tue"], "date": null, "except_dates": ["2026-12-25"], "enabled": true, "window_min": 30, "sound": "bell", "fade_s": 30, "start_level": 0.05, "sunrise_min": 0, "snooze_min": 9, "snooze_limit": 3, "skip_if_out_of_bed": false}'),
(4, '{"id": 4, "name": "Holiday", "time": "09:30", "weekdays": [], "date": "2026-12-27", "except_dates": [], "enabled": true, "window_min": 0, "sound": "chime", "fade_s": 30, "start_level": 0.05, "sunrise_min": 0, "snooze_min": 9, "snooze_limit": 3, "skip_if_out_of_bed": false}');
INSERT INTO journal VALUES
(1, 1795400000.0, 100.0, 'boot', 'set', 'set alarm 1', 'page', NULL, NULL, NULL, NULL, NULL),
(2, 1795500000.0, 100100.0, 'boot', 'rang', 'rang 07:00: deadline 07:00', NULL, 1, '2026-11-24', '07:00', 0, 1795500000.0),
(3, 1795500060.0, 100160.0, 'boot', 'snoozed', 'snoozed 07:01: 9 min', 'button', 1, '2026-11-24', '07:00', 0, 1795500600.0);
INSERT INTO clock VALUES (1, 'boot', 1795399900.0, 0.0, 1, 1795500300.0, 'Europe/Berlin');
PRAGMA user_version = 2;
