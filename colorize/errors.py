"""How errors are put to people."""


def one_line(error: Exception) -> str:
    """What it says, in one line; of a system's error the file and the reason, without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return " ".join(f"{error.filename}: {error.strerror}".split())
    return " ".join(str(error).split())
