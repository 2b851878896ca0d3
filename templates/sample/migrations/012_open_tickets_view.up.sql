CREATE VIEW open_tickets AS
	SELECT t.id, t.subject, t.priority, trim(c.first_name || ' ' || c.last_name) AS customer, a.login AS agent
	FROM tickets t
	JOIN customers c ON c.id = t.customer_id
	LEFT JOIN agents a ON a.id = t.agent_id
	WHERE t.status <> 'closed';
