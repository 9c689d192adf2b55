"""What turns pictures and an instruction into features: the public model's, and a small one."""
