DROP INDEX tickets_by_agent;
