"""Letters between carers, in French, made up from a seed: the same seed gives the same letters.

A letter is sentences of words drawn by Zipf's law from about 2,000 forms (articles and prepositions most often, as in any French text), with names, dates, measures and
accents, until it has the octets that are asked for. It reads as no letter does; its words, their lengths and how often they follow one another are what a search meets.
"""
import random

COMMON = """de la le et les des en un une du que est pour qui dans a par plus pas au sur ne se ce il sont avec son aux d' l' cette ou avoir sans elle comme mais on nous
vous sa ses leur entre après avant depuis lors été était ont très bien aussi encore sous chez dont puis""".split()
NOUNS = """patient patiente dossier traitement examen consultation bilan service hospitalisation compte rendu médecin confrère douleur tension artère veine cœur œdème poumon foie
rein rate estomac côlon thyroïde échographie radiographie scanner imagerie résonance scintigraphie biopsie prélèvement analyse hémogramme créatinine glycémie ionogramme
natrémie kaliémie ferritine plaquette leucocyte hémoglobine hématocrite globule infection fièvre toux dyspnée asthénie anorexie vomissement diarrhée constipation céphalée
vertige malaise syncope chute fracture entorse luxation plaie suture pansement cicatrice prothèse genou hanche épaule rachis cervicale lombaire vertèbre disque hernie
allergie asthme bronchite pneumopathie insuffisance cardiaque rénale respiratoire diabète hypertension dyslipidémie obésité tabagisme alcool grossesse accouchement
enfant nourrisson vaccin rappel ordonnance posologie comprimé gélule injection perfusion antibiotique antalgique anticoagulant bêtabloquant diurétique corticoïde insuline
metformine amoxicilline paracétamol ibuprofène morphine antécédent mère père frère sœur famille profession retraite domicile infirmière kinésithérapeute pharmacien
laboratoire résultat valeur référence norme augmentation diminution surveillance contrôle suivi évolution amélioration aggravation récidive rémission diagnostic
pronostic indication contre-indication intervention chirurgie anesthésie bloc opératoire réveil sortie entrée admission transfert urgence ambulance lettre courrier
réponse demande avis accord rendez-vous secrétariat téléphone adresse mutuelle sécurité sociale assurance formulaire certificat arrêt travail reprise aptitude
semaine mois année matin soir nuit journée heure minute milligramme millilitre litre gramme""".split()
ADJECTIVES = """gauche droit droite antérieur postérieur latéral médial supérieur inférieur normal anormal aigu aiguë chronique sévère modéré léger important stable instable
positif négatif bilatéral isolé associé fébrile apyrétique douloureux indolore souple régulier irrégulier clinique biologique radiologique habituel récent ancien prévu
urgent nécessaire possible probable certain absent présent connu inconnu opéré traité suivi adressé hospitalisé veuf mariée célibataire""".split()
VERBS = """présente signale rapporte décrit retrouve montre confirme élimine évoque suggère nécessite justifie propose prescrit poursuit arrête débute augmente diminue
surveille contrôle revoit adresse remercie informe rappelle précise note constate observe souligne conclut recommande organise prévoit""".split()
FAMILY = """Martin Bernard Thomas Petit Robert Richard Durand Dubois Moreau Laurent Simon Michel Lefèvre Leroy Roux David Bertrand Morel Fournier Girard Bonnet Dupont Lambert
Fontaine Rousseau Vincent Muller Lefebvre Faure André Mercier Blanc Guérin Boyer Garnier Chevalier François Legrand Gauthier Garcia Perrin Robin Clément Morin Nicolas
Henry Roussel Mathieu Gautier Masson Marchand Duval Denis Dumont Marie Lemaire Noël Meyer Dufour Meunier Brun Blanchard Giraud Joly Rivière Lucas Brunet Gaillard
Barbier Arnaud Martinez Gérard Roche Renard Schmitt Roy Leroux Colin Vidal Caron Picard Roger Fabre Aubert Lemoine Renaud Dumas Lacroix Olivier Philippe Bourgeois
Pierre Benoît Rey Leclerc Payet Rolland Leclercq Guillaume Lecomte Lopez Jean Dupuy Guillot Hubert Berger Carpentier Sanchez Dupuis Moulin Louis Deschamps Huet""".split()
PREFIXES = ["re", "dé", "hyper", "hypo", "inter", "post", "pré", "sur", "anti", "péri"]


def forms():
    """Every form, the most frequent first."""
    rest = NOUNS + ADJECTIVES + VERBS
    rest += [word + "s" for word in NOUNS + ADJECTIVES if not word.endswith(("s", "x"))]
    rest += [prefix + word for prefix in PREFIXES for word in VERBS + ADJECTIVES]
    rest += [word[:-1] + "ations" for word in VERBS if word.endswith("e")] + FAMILY
    random.Random(1).shuffle(rest)
    return COMMON + rest


FORMS = forms()
WEIGHTS = []
for rank in range(len(FORMS)):
    WEIGHTS.append((WEIGHTS[-1] if WEIGHTS else 0) + 1 / (rank + 10))


def text(rng, octets):
    """Sentences in CRLF lines of at most 76 characters."""
    lines, line, size, capital = [], "", 0, True
    while size < octets:
        draw = rng.random()
        if draw < 0.02:
            word = f"{rng.randrange(1, 29):02}/{rng.randrange(1, 13):02}/20{rng.randrange(10, 27)}"
        elif draw < 0.04:
            word = f"{rng.randrange(1, 400)},{rng.randrange(10)} {rng.choice(['g/L', 'mmol/L', 'mg', 'mL/min', '%', '°C'])}"
        elif draw < 0.05:
            word = f"{rng.choice(['Mme', 'M.', 'Dr'])} {rng.choice(FAMILY)}"
        else:
            word = rng.choices(FORMS, cum_weights=WEIGHTS)[0]
        if capital:
            word = word[:1].upper() + word[1:]
        capital = rng.random() < 0.07
        word += "." if capital else "," if rng.random() < 0.06 else ""
        if len(line) + len(word) > 75:
            lines.append(line.rstrip())
            size += len(line.encode()) + 2
            line = ""
        line += word if word.endswith("'") else word + " "
    return "\r\n".join(lines) + "\r\n"


def letter(seed, octets=10 * 1024):
    """A message in UTF-8 of about so many octets."""
    rng = random.Random(seed)
    sender, to = rng.choice(FAMILY), rng.choice(FAMILY)
    subject = " ".join(rng.choice(NOUNS) for _ in range(4))
    head = (
        f"Date: {['Mon', 'Tue', 'Wed', 'Thu', 'Fri'][seed % 5]}, {1 + seed % 28:02} Nov 2026 {seed % 24:02}:{seed % 60:02}:00 +0100\r\n"
        f"From: Dr {sender} <{seed % 997}@ville.example>\r\nTo: Dr {to} <{seed % 499}@hopital.example>\r\nSubject: {subject}\r\n"
        f"Message-ID: <{seed}@ville.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return (head + text(rng, octets - len(head.encode()))).encode()
