-- "Toggle" is the one term for what enables, disables or limits a member or an endpoint.
ALTER TABLE switches RENAME TO toggles;
UPDATE counters SET name = 'toggles' WHERE name = 'switches';
