"""One table of addresses, as spreadsheets write it."""


def tables(domain):
    """{program: octets}: the same two addresses, anna and zoe, with names that need quotes and UTF-8."""
    anna, zoe = f"anna@{domain}", f"zoe@{domain}"
    return {
        # "CSV UTF-8": a byte order mark, CRLF; in a cell with lines, LF. A cell that was once used is a column.
        "Excel": f'\ufeffaddress,name,\r\n{anna},"Anna ""A."", front desk",\r\n{zoe},Zoë,\r\n,,\r\n'.encode(),
        # Where the comma is for decimals, the separator is another; cells at the end are left out now and then.
        "Excel in Germany": f'\ufeffname;address;;\r\n"Anna ""A."", front desk";{anna};;\r\nZoë;{zoe}\r\n'.encode(),
        "LibreOffice": f'address,name\n{anna},"Anna ""A."", front desk"\n{zoe},Zoë\n'.encode(),
        "LibreOffice, all texts quoted":
            f'"address";"name"\n"{anna}";"Anna ""A."", front desk"\n"{zoe}";"Zoë"\n'.encode(),
        # No end of the last line.
        "Google Sheets": f'Address,Name\r\n{anna},"Anna ""A."", front desk"\r\n{zoe},Zoë'.encode(),
    }


NAMES = {"anna": 'Anna "A.", front desk', "zoe": "Zoë"}
