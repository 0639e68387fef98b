"""What Three Plates does besides talking: checks answers, keeps bookings, writes orders down."""
