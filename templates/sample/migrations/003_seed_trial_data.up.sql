-- What the trial installation started with; newer migrations rely on ticket 1.
INSERT INTO customers (id, name, email) VALUES
	(1, 'Ada Lovelace', 'ada@analytical.example'),
	(2, 'Grace Hopper', 'grace@cobol.example'),
	(3, 'Annie Easley', 'annie@centaur.example'),
	(4, 'Plato', 'plato@academy.example');

INSERT INTO agents (id, login) VALUES (1, 'mika'), (2, 'noor');

INSERT INTO tickets (id, customer_id, agent_id, title, body, status) VALUES
	(1, 1, 1, 'Engine does not turn', 'It stops after the first card.', 'open'),
	(2, 2, 2, 'Moth in relay 70', 'Found and taped into the log.', 'closed'),
	(3, 3, NULL, 'Second stage shuts down early', 'See the attached traces.', 'new'),
	(4, 4, 1, 'Shadows on the wall', 'They move when nobody is there.', 'open'),
	(5, 1, 2, 'Bernoulli numbers are off by one', 'From the eighth on.', 'open');
