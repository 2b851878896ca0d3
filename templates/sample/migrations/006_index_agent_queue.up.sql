-- The agents' home page sorts their own tickets by priority.
CREATE INDEX tickets_by_agent ON tickets (agent_id, priority);
