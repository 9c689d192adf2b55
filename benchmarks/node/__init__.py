"""What a policy node costs between cameras, engine and controller, beside one as usually written."""
