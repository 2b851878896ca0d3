DROP TABLE tickets;
DROP TABLE agents;
