"""Owns currencies: ISO 4217 list one (SIX, active currencies and funds, January 2026), and reading a code."""

from collections.abc import Mapping

from service.core.decoding import Pairs
from service.core.fields.placeholders import is_empty_variable, reject_placeholder
from service.core.outcome import Outcome, Rejected
from service.core.sender import Field, Sender
from service.core.white_space import trimmed

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

# What senders still write although it is in list one no more, or never was; each sender may be allowed some of them.
OTHER_CODES = frozenset(
    """
    ADP AFA ALK AON AOR ATS AZM BEF BGL BYB BYR CSD CSK CUC CYP DEM ECS EEK ESP FIM FRF GHC GRD GWP HRD HRK IEP ITL LTL
    LUF LVL MGF MRO MTL MXP MZM NLG PTE ROL RUR SDD SIT SKK SLL SRG STD SVC TMM TPE TRL UAK VEB VEF XEU YUM ZMK ZWD ZWL
    ZWN ZWR ANG BUSD BCH BNB BTC DAI DOGE DOT ETH LTC MATIC SHIB SOL TON TRX TUSD USDC USDT WBTC XLM XMR XRP
    """.split()  # noqa: SIM905 - as above
).difference(CURRENCIES)

_SIGNS_OF = """
    EUR €, GBP £, USD us$ $us u$s, CAD ca$ c$ $ca, AUD a$ au$, NZD nz$, HKD hk$, SGD s$, MXN mx$, BRL r$,
    CHF fr. sfr. fr, PLN zł zl, CZK kč, INR ₹ rs., RUB ₽ руб руб., UAH ₴ грн грн., TRY ₺, ILS ₪, KRW ₩, VND ₫, PHP ₱,
    THB ฿, KZT ₸, NGN ₦
"""  # noqa: RUF001 - letters of other alphabets
_OF_SEVERAL = """
    ¥ JPY CNY, kr SEK NOK DKK ISK, kr. SEK NOK DKK ISK, $ USD CAD AUD NZD HKD SGD TWD MXN ARS CLP COP UYU DOP CUP BRL
    BBD BZD BMD BSD BND FJD GYD JMD KYD LRD NAD NIO SBD SRD TTD XCD MOP CVE ZWG
"""
# What people write for a currency, in small letters, and the codes that it may mean.
CODES_OF_SIGNS: Mapping[str, frozenset[str]] = {
    **{sign: frozenset({code}) for code, *signs in map(str.split, _SIGNS_OF.split(",")) for sign in signs},
    **{sign: frozenset(codes) for sign, *codes in map(str.split, _OF_SEVERAL.split(","))},
}


def currency_of(
    fields: Mapping[Field, str], sender: Sender, pairs: Pairs, params: dict[str, str | list[str]]
) -> str | None:
    """Return the code of the currency, None if none was sent; another text that said so is kept among the parameters.

    A value's name may say its currency, and then that is the value's own. Raises `Rejected`.
    """
    sent = fields.get("currency", "")
    if sent in CURRENCIES and not sender.implied_currencies:
        return sent  # as most are
    code = sent if sent in CURRENCIES else _read(sent, sender)
    value = fields.get("value", "")
    if sender.implied_currencies and trimmed(value):
        code = sender.implied_currencies.get(sender.name_sent("value", value, pairs), code)
    if code != sent and trimmed(sent):
        params[sender.name_sent("currency", sent, pairs)] = sent
    return code


def _read(sent: str, sender: Sender) -> str | None:
    text = trimmed(sent)
    if not text:
        return None
    code = text.upper()
    if text.isascii() and (code in CURRENCIES or code in sender.currencies):
        return code
    if "currency" not in sender.required and is_empty_variable(sent):
        return None
    reject_placeholder("currency", sent, sender)
    raise Rejected(Outcome.INVALID_CURRENCY, f"{sent[:80]!a} is not an ISO 4217 code")
