"""Words from which the population's names are made (data)."""


def _words(text: str) -> list[str]:
    return text.split()


FIRST_NAMES = _words("""
    anna ben carla david elena felix greta hugo ida jonas klara leon maria nils olga paul rosa simon tina viktor
    wanda yusuf zara amir bianca chen daria emil fatima gabriel hana ivan julia kofi lena mateo nora oscar priya
    quinn ravi sofia tomas uma vera willem ximena yara zoran aisha bruno clara diego esther finn
""")

LAST_NAMES = _words("""
    keller braun costa duarte eriksen fischer garcia haas ivanov jansen kowalski lindgren moreau novak okafor petrov
    quiroga rossi schmidt tanaka urban vogel weber xu yilmaz zeman adler baker castillo dubois egger ferrari gupta
    hansen iyer jung kaya larsen mendez nielsen ortiz pereira richter singh thomsen ueda vargas wagner yamada
    ziegler
""")

DOMAIN_WORDS = _words("""
    amber birch blue bright calm cedar clear cobalt copper coral crystal dawn delta ember fern forest frost golden
    granite green harbor hazel high iron ivory jade juniper lake lark linden lunar maple meadow mill misty north oak
    ocean olive opal pearl pine quiet red ridge river royal sage silver sky solar south spring stone summer sun
    swift tall timber valley velvet violet west wild willow winter
""")

TRADES = _words("""
    accounting architects audio bakery bikes books brewery cafe carpentry ceramics clinic coffee consulting dental
    design electric events farm finance fitness flowers foods furniture gallery garage gardens glass grocer guitars
    hotel imports interiors jewelry kitchen lab law legal lighting logistics machines marine media motors music
    optics outdoor paint partners pets pharmacy photo plumbing press print robotics sailing school security shoes
    software studio tailors tea textiles tools toys travel vet watches wine works yoga
""")

ROLES = _words("""
    info sales support contact office admin billing marketing
""")
