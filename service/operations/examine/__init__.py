"""The examination behind `doctor`: is anything wrong with this installation."""
