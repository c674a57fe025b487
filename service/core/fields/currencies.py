"""Owns currencies: ISO 4217 list one (SIX, active currencies and funds, January 2026), and reading a code."""

from collections.abc import Mapping

from service.core.fields.placeholders import reject_placeholder
from service.core.outcome import Outcome, Rejected
from service.core.sender import Field

CURRENCIES = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
    CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD
    HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL
    MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON
    RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX
    USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA
    XXX YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a table of 180 words reads better than 180 quoted ones
)


def currency_of(fields: Mapping[Field, str]) -> str | None:
    """Return the code of the currency, None if none was sent. Raises `Rejected`."""
    currency = fields.get("currency")
    if currency is None or currency in CURRENCIES:
        return currency
    reject_placeholder("currency", currency)
    raise Rejected(Outcome.INVALID_CURRENCY, f"{currency[:80]!a} is not an ISO 4217 code")
