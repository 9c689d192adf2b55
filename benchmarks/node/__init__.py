"""What a policy node costs between cameras and controller, beside one as usually written."""
