DELETE FROM tickets WHERE id <= 5;
DELETE FROM agents WHERE id <= 2;
DELETE FROM customers WHERE id <= 4;
