"""Robot mode: `ros2 launch labvla_bringup NAME.launch.py`. Nothing else imports launch.

`choices` has the arguments, `actions` turns a described stack into launch's own words, and the
files in launch/ name the arguments that they take.
"""
