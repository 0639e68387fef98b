"""What the helpdesk does: asks by kind of problem, opens and reads tickets at a service, looks back later."""
