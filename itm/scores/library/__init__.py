"""The scores; every module here is imported and registers those that it defines."""
