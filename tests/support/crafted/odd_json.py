"""Owns JSON that is made to cost much: members, and bodies that are odd as a whole."""

from collections.abc import Mapping


def members(size: int) -> Mapping[str, str]:
    """Return members of JSON of so many bytes."""
    return {
        "arrays": f"[{'[],' * (size // 3)}1]",
        "objects": f"[{'{},' * (size // 3)}1]",
        "numbers": f"[{'1,' * (size // 2)}1]",
        "fractions": f"[{'1.5e3,' * (size // 6)}1]",
        "trues": f"[{'true,' * (size // 5)}1]",
        "nulls": f"[{'null,' * (size // 5)}1]",
        "empty texts": f"[{chr(34) * 2}{(',' + chr(34) * 2) * (size // 3)}]",
        "texts": f"[1{',' + chr(34) + 'é' + chr(34)}{(',' + chr(34) + 'a' + chr(34)) * (size // 4 - 8)}]",
        "keys": f"{{{','.join(f'{chr(34)}{n}{chr(34)}:1' for n in range(size // 9))}}}",
        "one key": f"{{{','.join([chr(34) + 'a' + chr(34) + ':1'] * (size // 6))}}}",
        "depth": "[" * 900 + "]" * 900,
        "depth of objects": '{"a":' * 900 + "1" + "}" * 900,
        "depth too much": "[" * (size // 2) + "]" * (size // 2),
        "depth and breadth": ("[" * 60 + "]" * 60 + ",").join(["["] + [""] * (size // 121)) + "1]",
        "a huge number": "1" * size,
        "a huge fraction": "0." + "3" * size,
        "a huge exponent": "1e" + "9" * size,
        "escapes": '"' + "\\u0041" * (size // 6) + '"',
        "escaped letters": '"' + "\\u00e9" * (size // 6) + '"',
        "surrogates": '"' + "\\ud83d\\ude00" * (size // 12) + '"',
        "half surrogates": '"' + "\\ud83d" * (size // 6) + '"',
        "short escapes": '"' + "\\n" * (size // 2) + '"',
        "backslashes": '"' + "\\\\" * (size // 2) + '"',
        "quotes": '"' + '\\"' * (size // 2) + '"',
        "nuls": '"' + "\\u0000" * (size // 6) + '"',
        "spaces": " " * size + "1",
        "spaces between": f"[{'1 , ' * (size // 4)}1]",
        "not closed": '"' + "a" * size,
    }


def objects(size: int) -> Mapping[str, str]:
    """Return bodies of JSON that are odd as a whole."""
    return {
        "many members": "{" + ",".join(f'"{n}":1' for n in range(size // 9)) + "}",
        "one member again and again": "{" + ",".join(['"a":1'] * (size // 6)) + "}",
        "a field again and again": "{" + ",".join(['"c":1'] * (size // 6)) + "}",
        "256 times a value": "{" + ",".join(f'"value":"{n}{" " * (size // 300)}"' for n in range(250)) + "}",
        "256 long names": "{" + ",".join(f'"{n:04d}{"A" * (size // 280)}":1' for n in range(250)) + "}",
        "256 nested": '{"c":"1","value":1,' + ",".join(f'"n{n}":[{"[]," * (size // 900)}1]' for n in range(250)) + "}",
        "objects one after the other": "{}" * (size // 2),
        "opened only": '{"a":' * (size // 5),
        "no object": "[" + "1," * (size // 2) + "1]",
        "space before": " " * size + '{"c":"1","value":1}',
        "space behind": '{"c":"1","value":1}' + " " * size,
    }
