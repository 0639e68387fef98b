-- The order database of the made-up shop. Every date is as seen from the Friday 2026-11-20; actions.py moves them by
-- whole weeks to the present, so that the demo never grows old. Amounts are euro cents.

CREATE TABLE orders (
  order_id   TEXT PRIMARY KEY,
  placed     TEXT NOT NULL,
  state      TEXT NOT NULL CHECK (state IN ('placed', 'packed', 'shipped', 'delivered', 'cancelled', 'returned')),
  city       TEXT NOT NULL,
  shipping   INTEGER NOT NULL,
  shipped    TEXT,
  delivered  TEXT,
  came_back  TEXT,
  refunded   TEXT
);

CREATE TABLE lines (
  order_id  TEXT NOT NULL REFERENCES orders (order_id),
  product   TEXT NOT NULL,
  quantity  INTEGER NOT NULL,
  price     INTEGER NOT NULL
);
CREATE INDEX lines_by_order ON lines (order_id);

-- Half hours of the week in which every colleague already has a call. weekday: 0 is Monday.
CREATE TABLE taken_calls (
  weekday  INTEGER NOT NULL,
  time     TEXT NOT NULL,
  PRIMARY KEY (weekday, time)
);

-- What customers asked for in the chat: one row for each thing done. The order desk works from this table.
CREATE TABLE requests (
  number        INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation  TEXT NOT NULL,
  kind          TEXT NOT NULL CHECK (kind IN ('return', 'address', 'cancel', 'invoice', 'call', 'complaint')),
  order_id      TEXT,
  detail        TEXT NOT NULL,
  at            REAL NOT NULL
);
CREATE INDEX requests_by_conversation ON requests (conversation, order_id, kind);

-- The results of calls that changed something, by the call's key: a repeated call gets the first result again.
CREATE TABLE done (
  key     TEXT PRIMARY KEY,
  result  TEXT NOT NULL
);

INSERT INTO orders (order_id, placed, state, city, shipping, shipped, delivered, came_back, refunded) VALUES
  ('48101', '2026-08-26', 'delivered', 'Antwerp', 0, '2026-08-26', '2026-08-28', NULL, NULL),
  ('48104', '2026-08-29', 'returned', 'Lyon', 0, '2026-08-30', '2026-09-02', '2026-09-20', '2026-09-24'),
  ('48109', '2026-09-02', 'delivered', 'Leeds', 1490, '2026-09-03', '2026-09-10', NULL, NULL),
  ('48112', '2026-09-05', 'delivered', 'Ghent', 490, '2026-09-05', '2026-09-07', NULL, NULL),
  ('48118', '2026-09-11', 'cancelled', 'Vienna', 890, NULL, NULL, NULL, '2026-09-12'),
  ('48120', '2026-09-13', 'delivered', 'Hamburg', 0, '2026-09-14', '2026-09-17', NULL, NULL),
  ('48127', '2026-09-19', 'returned', 'Utrecht', 0, '2026-09-20', '2026-09-22', '2026-10-10', '2026-10-14'),
  ('48131', '2026-09-23', 'delivered', 'Dublin', 890, '2026-09-24', '2026-09-30', NULL, NULL),
  ('48135', '2026-09-26', 'delivered', 'Bruges', 490, '2026-09-26', '2026-09-28', NULL, NULL),
  ('48140', '2026-09-29', 'delivered', 'Oslo', 1490, '2026-09-30', '2026-10-08', NULL, NULL),
  ('48144', '2026-10-02', 'cancelled', 'Brussels', 490, NULL, NULL, NULL, '2026-10-03'),
  ('48149', '2026-10-04', 'delivered', 'Cologne', 490, '2026-10-05', '2026-10-07', NULL, NULL),
  ('48153', '2026-10-08', 'delivered', 'Porto', 0, '2026-10-09', '2026-10-14', NULL, NULL),
  ('48158', '2026-10-18', 'returned', 'Rotterdam', 490, '2026-10-19', '2026-10-21', '2026-11-08', '2026-11-12'),
  ('48160', '2026-10-21', 'returned', 'Berlin', 490, '2026-10-22', '2026-10-25', '2026-11-11', '2026-11-15'),
  ('48166', '2026-10-26', 'delivered', 'Lille', 0, '2026-10-27', '2026-10-30', NULL, NULL),
  ('48171', '2026-10-27', 'returned', 'Zurich', 1490, '2026-10-28', '2026-11-04', '2026-11-16', NULL),
  ('48175', '2026-10-29', 'delivered', 'Antwerp', 490, '2026-10-30', '2026-11-01', NULL, NULL),
  ('48180', '2026-10-30', 'delivered', 'Luxembourg', 0, '2026-10-31', '2026-11-02', NULL, NULL),
  ('48184', '2026-10-31', 'returned', 'Leuven', 0, '2026-11-01', '2026-11-03', '2026-11-17', NULL),
  ('48187', '2026-11-01', 'delivered', 'Malmö', 890, '2026-11-02', '2026-11-07', NULL, NULL),
  ('48190', '2026-11-02', 'delivered', 'Ghent', 0, '2026-11-03', '2026-11-05', NULL, NULL),
  ('48193', '2026-11-03', 'delivered', 'Munich', 0, '2026-11-04', '2026-11-06', NULL, NULL),
  ('48197', '2026-11-04', 'delivered', 'Bristol', 1490, '2026-11-05', '2026-11-12', NULL, NULL),
  ('48202', '2026-11-06', 'delivered', 'Eindhoven', 490, '2026-11-07', '2026-11-09', NULL, NULL),
  ('48205', '2026-11-08', 'delivered', 'Brussels', 0, '2026-11-09', '2026-11-11', NULL, NULL),
  ('48208', '2026-11-10', 'delivered', 'Bologna', 890, '2026-11-11', '2026-11-16', NULL, NULL),
  ('48210', '2026-11-11', 'delivered', 'Utrecht', 490, '2026-11-12', '2026-11-14', NULL, NULL),
  ('48213', '2026-11-16', 'shipped', 'Ghent', 0, '2026-11-17', NULL, NULL, NULL),
  ('48216', '2026-11-16', 'shipped', 'Gdańsk', 890, '2026-11-17', NULL, NULL, NULL),
  ('48219', '2026-11-17', 'shipped', 'Berlin', 0, '2026-11-18', NULL, NULL, NULL),
  ('48222', '2026-11-17', 'cancelled', 'Lyon', 0, NULL, NULL, NULL, NULL),
  ('48225', '2026-11-17', 'shipped', 'Leeds', 1490, '2026-11-18', NULL, NULL, NULL),
  ('48228', '2026-11-18', 'shipped', 'Rotterdam', 0, '2026-11-19', NULL, NULL, NULL),
  ('48231', '2026-11-18', 'packed', 'Seville', 890, NULL, NULL, NULL, NULL),
  ('48234', '2026-11-19', 'packed', 'Cologne', 0, NULL, NULL, NULL, NULL),
  ('48237', '2026-11-19', 'packed', 'Antwerp', 0, NULL, NULL, NULL, NULL),
  ('48240', '2026-11-19', 'placed', 'Lille', 0, NULL, NULL, NULL, NULL),
  ('48243', '2026-11-19', 'placed', 'Dublin', 890, NULL, NULL, NULL, NULL),
  ('48246', '2026-11-20', 'placed', 'Hamburg', 0, NULL, NULL, NULL, NULL),
  ('48249', '2026-11-20', 'placed', 'Ghent', 490, NULL, NULL, NULL, NULL),
  ('48252', '2026-11-20', 'placed', 'Vienna', 890, NULL, NULL, NULL, NULL);

INSERT INTO lines (order_id, product, quantity, price) VALUES
  ('48101', 'Brisa kettle', 1, 5900),
  ('48104', 'Iwa cast-iron teapot', 1, 7900),
  ('48109', 'Tonda French press 1 l', 1, 4200),
  ('48109', 'Pebble mug, set of 4', 1, 4800),
  ('48112', 'Morning Harbour black tea, 100 g', 2, 1100),
  ('48112', 'Red Field rooibos, 100 g', 1, 900),
  ('48118', 'Alba gooseneck kettle', 1, 8900),
  ('48120', 'Pico hand grinder', 1, 7500),
  ('48120', 'Onda dripper 02', 1, 2800),
  ('48120', 'Paper filters 02, 100 pieces', 2, 550),
  ('48127', 'Dune glass kettle', 1, 6900),
  ('48131', 'Corvo stovetop kettle', 1, 4500),
  ('48135', 'Rill filter jug', 1, 2900),
  ('48135', 'Rill cartridges, pack of 3', 1, 1800),
  ('48140', 'Nord travel mug', 2, 2700),
  ('48144', 'Fern teapot', 1, 3400),
  ('48144', 'Quiet Hill green tea, 100 g', 1, 1300),
  ('48149', 'Scale Off descaler, 6 sachets', 2, 800),
  ('48153', 'Alba gooseneck kettle', 1, 8900),
  ('48153', 'Onda dripper 01', 1, 2400),
  ('48158', 'Mino travel kettle', 1, 3900),
  ('48160', 'Lumen glass teapot', 1, 2900),
  ('48160', 'Jasmine Lane tea, 100 g', 1, 1200),
  ('48166', 'Brisa kettle', 1, 5900),
  ('48166', 'Scale Off descaler, 6 sachets', 1, 800),
  ('48171', 'Iwa cast-iron teapot', 1, 7900),
  ('48175', 'Tea sampler, 8 x 15 g', 1, 1900),
  ('48180', 'Pebble mug, set of 4', 1, 4800),
  ('48180', 'Fern teapot', 1, 3400),
  ('48184', 'Pico hand grinder', 1, 7500),
  ('48187', 'Tonda French press 0.35 l', 1, 3200),
  ('48190', 'Dune glass kettle', 1, 6900),
  ('48193', 'Alba gooseneck kettle', 1, 8900),
  ('48193', 'Paper filters 02, 100 pieces', 1, 550),
  ('48197', 'Corvo stovetop kettle', 1, 4500),
  ('48197', 'Morning Harbour black tea, 100 g', 1, 1100),
  ('48202', 'Nord travel mug', 1, 2700),
  ('48202', 'Red Field rooibos, 100 g', 2, 900),
  ('48205', 'Iwa cast-iron teapot', 1, 7900),
  ('48205', 'Quiet Hill green tea, 100 g', 1, 1300),
  ('48208', 'Pebble mug', 2, 1400),
  ('48210', 'Mino travel kettle', 1, 3900),
  ('48213', 'Alba gooseneck kettle', 1, 8900),
  ('48213', 'Morning Harbour black tea, 100 g', 1, 1100),
  ('48216', 'Fern teapot', 1, 3400),
  ('48216', 'Jasmine Lane tea, 100 g', 2, 1200),
  ('48219', 'Pico hand grinder', 1, 7500),
  ('48222', 'Brisa kettle', 1, 5900),
  ('48225', 'Tea sampler, 8 x 15 g', 2, 1900),
  ('48228', 'Rill filter jug', 1, 2900),
  ('48228', 'Rill cartridges, pack of 3', 2, 1800),
  ('48231', 'Onda dripper 02', 1, 2800),
  ('48231', 'Paper filters 02, 100 pieces', 2, 550),
  ('48234', 'Dune glass kettle', 1, 6900),
  ('48234', 'Scale Off descaler, 6 sachets', 1, 800),
  ('48237', 'Pebble mug, set of 4', 2, 4800),
  ('48240', 'Iwa cast-iron teapot', 1, 7900),
  ('48243', 'Nord travel mug', 1, 2700),
  ('48243', 'Tonda French press 1 l', 1, 4200),
  ('48246', 'Brisa kettle', 1, 5900),
  ('48246', 'Morning Harbour black tea, 100 g', 1, 1100),
  ('48246', 'Red Field rooibos, 100 g', 1, 900),
  ('48249', 'Corvo stovetop kettle', 1, 4500),
  ('48252', 'Lumen glass teapot', 1, 2900),
  ('48252', 'Quiet Hill green tea, 100 g', 2, 1300);

INSERT INTO taken_calls (weekday, time) VALUES
  (0, '09:00'),
  (0, '09:30'),
  (0, '14:00'),
  (1, '10:00'),
  (1, '15:00'),
  (2, '11:30'),
  (2, '14:00'),
  (3, '09:00'),
  (3, '15:00'),
  (4, '10:00'),
  (4, '16:30');
