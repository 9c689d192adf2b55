"""How much memory a step of training needs, without the memory."""
