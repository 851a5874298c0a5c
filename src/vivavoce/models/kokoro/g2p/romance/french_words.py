"""List the French words that `french_rules` reads wrong, and words with a silent h.

Phonemes are written without stress.
"""

from collections.abc import Mapping

from vivavoce.models.kokoro.g2p.romance.rules import word_pairs, word_set

WORDS: Mapping[str, str] = word_pairs(
    """
    a=a à=a as=a y=i en=ɑ̃ et=e est=ɛ es=ɛ ai=e eu=y eus=y eut=y eue=y eues=y eurent=yʁ un=œ̃ les=le
    des=de mes=me tes=te ses=se ces=se le=lə de=də je=ʒə me=mə te=tə se=sə ce=sə ne=nə que=kə oui=wi
    cet=sɛt eh=e ès=ɛs ils=il elles=ɛl elle=ɛl quelque=kɛlkə quelques=kɛlkə quelqu'un=kɛlkœ̃
    lorsque=lɔʁskə puisque=pyiskə presque=pʁɛskə
    lesquels=lekɛl lesquelles=lekɛl desquels=dekɛl desquelles=dekɛl
    auxquels=okɛl auxquelles=okɛl plus=ply tous=tu donc=dɔ̃k vrai=vʁɛ étions=etjɔ̃ sept=sɛt huit=yit
    notre=notʁ votre=votʁ cinq=sɛ̃k neuf=nœf vingt=vɛ̃ cent=sɑ̃ cents=sɑ̃ mille=mil million=miljɔ̃
    millions=miljɔ̃ milliard=miljaʁ milliards=miljaʁ millier=milje milliers=milje
    quatre-vingts=katʁəvɛ̃

    est-ce=ɛs qu'est-ce=kɛs n'est-ce=nɛs aujourd'hui=oʒuʁdyi peut-être=pøtɛtʁ c'est-à-dire=sɛtadiʁ
    avant-hier=avɑ̃tjɛʁ
    arc-en-ciel=aʁkɑ̃sjɛl pot-au-feu=pɔtofø vis-à-vis=vizavi au-dessus=odəsy au-dessous=odəsu
    là-dessus=ladəsy par-dessus=paʁdəsy là-bas=laba au-delà=odəla rez-de-chaussée=ʁedʃose
    chef-d'œuvre=ʃɛdœvʁ chefs-d'œuvre=ʃɛdœvʁ petit-enfant=pətitɑ̃fɑ̃ petits-enfants=pətizɑ̃fɑ̃
    tout-à-coup=tutaku sang-froid=sɑ̃fʁwa week-end=wikɛnd week-ends=wikɛnd

    monsieur=məsjø messieurs=mesjø mesdames=medam mesdemoiselles=medmwazɛl femme=fam femmes=fam
    solennel=solanɛl second=səɡɔ̃ seconds=səɡɔ̃ ville=vil villes=vil village=vilaʒ villages=vilaʒ
    villageois=vilaʒwa pupille=pypil examen=ɛɡzamɛ̃ examens=ɛɡzamɛ̃ pays=pɛi abbaye=abei oignon=ɔɲɔ̃
    oignons=ɔɲɔ̃ temps=tɑ̃ longtemps=lɔ̃tɑ̃ printemps=pʁɛ̃tɑ̃ corps=kɔʁ os=ɔs fils=fis hier=jɛʁ
    mars=maʁs ours=uʁs août=ut fait=fɛ chœur=kœʁ chœurs=kœʁ œufs=ø bœufs=bø haïr=aiʁ sens=sɑ̃s
    gens=ʒɑ̃ jazz=dʒaz quiz=kwiz yeux=jø ennemi=ɛnmi ennemis=ɛnmi client=kliɑ̃ clients=kliɑ̃
    cliente=kliɑ̃t clientes=kliɑ̃t clientèle=kliɑ̃tɛl chrétien=kʁetjɛ̃ bien=bjɛ̃ rien=ʁjɛ̃ euro=øʁo
    euros=øʁo dessus=dəsy dessous=dəsu dehors=dəɔʁ paon=pɑ̃ paons=pɑ̃ faon=fɑ̃ faons=fɑ̃ saône=son
    caen=kɑ̃ rouen=ʁwɑ̃ saoul=su soûl=su médecin=medəsɛ̃ médecins=medəsɛ̃ zinc=zɛ̃ɡ yaourt=jauʁt
    yaourts=jauʁt esse=ɛs effe=ɛf emme=ɛm enne=ɛn tuyau=tyijo tuyaux=tyijo wagon=vaɡɔ̃ wagons=vaɡɔ̃
    poêle=pwal bruxelles=bʁysɛl paris=paʁi londres=lɔ̃dʁ noël=noɛl israël=isʁaɛl espagnol=ɛspaɲɔl
    ciel=sjɛl hôtel=otɛl appel=apɛl sel=sɛl hélas=elas moyen=mwajɛ̃ moyens=mwajɛ̃ citoyen=sitwajɛ̃
    européen=øʁopeɛ̃ européens=øʁopeɛ̃ lycéen=liseɛ̃ pied=pje pieds=pje jean=ʒɑ̃ jeanne=ʒan rome=ʁɔm
    alcool=alkɔl zoo=zo mœurs=mœʁs parfum=paʁfœ̃ parfums=paʁfœ̃ clef=kle clefs=kle nerf=nɛʁ
    nerfs=nɛʁ cerf=sɛʁ cerfs=sɛʁ tabac=taba estomac=estoma porc=pɔʁ porcs=pɔʁ caoutchouc=kautʃu
    escroc=ɛskʁo escrocs=ɛskʁo croc=kʁo crocs=kʁo accroc=akʁo clerc=klɛʁ marc=maʁ
    gentilhomme=ʒɑ̃tijɔm gentil=ʒɑ̃ti gentils=ʒɑ̃ti fusil=fyzi fusils=fyzi outil=uti outils=uti
    sourcil=suʁsi sourcils=suʁsi persil=pɛʁsi nombril=nɔ̃bʁi cul=ky culs=ky pouls=pu respect=ʁɛspɛ
    respects=ʁɛspɛ aspect=aspɛ aspects=aspɛ suspect=syspɛ suspects=syspɛ agenda=aʒɛ̃da
    agendas=aʒɛ̃da prix=pʁi perdrix=pɛʁdʁi crucifix=kʁysifi montréal=mɔ̃ʁeal montpellier=mɔ̃pɛlje
    montparnasse=mɔ̃paʁnas montmartre=mɔ̃maʁtʁ benjamin=bɛ̃ʒamɛ̃ emma=ɛma agnès=aɲɛs tom=tɔm
    lisbonne=lizbɔn

    design=dizajn foot=fut football=futbol email=imɛl e-mail=imɛl mail=mɛl mails=mɛl web=wɛb
    internet=ɛ̃tɛʁnɛt week=wik end=ɛnd weekend=wikɛnd leader=lidœʁ club=klœb clubs=klœb jeans=dʒin
    express=ɛkspʁɛs the=zə basket=baskɛt baskets=baskɛt ticket=tikɛ tickets=tikɛ stop=stɔp top=tɔp
    pop=pɔp hop=ɔp sandwich=sɑ̃dwitʃ sandwichs=sɑ̃dwitʃ sandwiches=sɑ̃dwitʃ interview=ɛ̃tɛʁvju
    interviews=ɛ̃tɛʁvju show=ʃo news=njuz coach=kotʃ team=tim business=biznɛs marketing=maʁkətiŋ
    parking=paʁkiŋ parkings=paʁkiŋ shopping=ʃɔpiŋ camping=kɑ̃piŋ campings=kɑ̃piŋ footing=futiŋ
    jogging=dʒɔɡiŋ meeting=mitiŋ smoking=smɔkiŋ pressing=pʁɛsiŋ casting=kastiŋ planning=planiŋ
    training=tʁɛniŋ pizza=pidza pizzas=pidza fan=fan fans=fan job=dʒɔb jobs=dʒɔb clown=klun
    clowns=klun pub=pœb pubs=pœb bug=bœɡ bugs=bœɡ smartphone=smaʁtfɔn smartphones=smaʁtfɔn
    facebook=fɛsbuk google=ɡuɡœl ordi=ɔʁdi rugby=ʁyɡbi cool=kul baby=bebi roller=ʁɔlœʁ rollers=ʁɔlœʁ
    skate=skɛt steak=stɛk steaks=stɛk hamburger=ɑ̃buʁɡœʁ hamburgers=ɑ̃buʁɡœʁ scooter=skutœʁ
    scooters=skutœʁ thriller=sʁilœʁ surfer=sœʁfe surf=sœʁf boy=bɔj box=bɔks fun=fœn live=lajf
    tweet=twit tweets=twit spray=spʁɛ jockey=ʒɔkɛ volley=vɔlɛ trolley=tʁɔlɛ toast=tost toasts=tost
    iceberg=ajsbɛʁɡ flirt=flœʁt shampoing=ʃɑ̃pwɛ̃ shampooing=ʃɑ̃pwɛ̃ david=david michel=miʃɛl
    michael=mikaɛl john=dʒɔn jack=dʒak kevin=kevin gilles=ʒil new=nju york=jɔʁk washington=waʃiŋtɔn
    munich=mynik thaïlande=tajlɑ̃d
    """
)

# Words whose last consonant is heard, though the rules leave it silent.
SPOKEN_LAST = word_set(
    """
    atlas pancréas madras texas vasistas alias cosmos albatros tétanos pathos carlos rhinocéros éros
    virus bus autobus minibus airbus campus bonus terminus cactus corpus lotus prospectus processus
    jésus vénus cursus omnibus couscous blocus consensus focus hiatus humus lapsus sinus stimulus
    typhus utérus versus rictus crocus eucalyptus papyrus radius marius julius celsius tennis jadis
    oasis iris maïs cassis pubis gratis métis ibis doris tunis francis anaïs jaurès hermès palmarès
    aloès but buts net nets brut bruts granit déficit déficits transit audit rut zut ut chut scout
    scouts kart short shorts loft gadget sprint sud alfred madrid stand stands raid raids bled caïd
    fred mohamed donald ronald bagdad lord hard cap caps cep clip clips slip slips handicap
    handicaps rap ketchup map trip hip gaz
    """
)

# Words in -er(s) that rhyme with "mer".
SPOKEN_ER = word_set(
    """
    mer cher hiver fer enfer ver amer cancer super hyper fier tier cuiller ester éther inter
    revolver niger alger jupiter hitler walter jennifer poker laser joker master cutter gangster
    hamster panzer starter cyber ter
    """
)

# Nouns and adjectives in -ent, and verbs of the third person singular. In all other words in -ent,
# -ment aside, the ending is silent: they are verbs of the third person plural.
SPOKEN_ENT = word_set(
    """
    vent auvent avent paravent argent agent dent accident content mécontent souvent lent client
    parent présent absent récent innocent accent adolescent décent cent talent excellent violent
    insolent équivalent polyvalent permanent éminent imminent continent pertinent différent
    indifférent concurrent apparent transparent cohérent incohérent évident président prudent
    imprudent incident précédent résident occident urgent intelligent fréquent éloquent conséquent
    compétent incompétent patient impatient orient ingrédient inconvénient quotient récipient
    expédient efficient coefficient conscient inconscient escient couvent torrent serpent détergent
    contingent négligent exigent indulgent indécent récurrent jacent adjacent sergent gent sent
    ressent consent pressent vincent laurent florent excédent régent adhérent lorient strident
    trident antécédent confident dissident ardent diligent astringent divergent réticent impotent
    latent omnipotent inhérent affluent confluent onguent fervent solvent repent
    """
)
SILENT_MENT = word_set(
    """
    aiment dorment endorment forment ferment enferment referment nomment surnomment consomment
    estiment expriment impriment suppriment dépriment priment riment affirment confirment animent
    raniment arment alarment charment fument parfument résument assument consument présument
    informent transforment déforment programment réclament proclament déclament acclament enflamment
    affament rythment allument rallument blâment entament filment calment chôment sèment gomment
    germent abîment
    """
)

# Beginnings of words with an h that keeps the word before from linking (h aspiré), and words
# without an h that do the same.
ASPIRATED_H = tuple(
    sorted(
        word_set(
            """
    hach haie hail haine haineu haïr haïs hait halet hall halo halt hamac hamburg hameau hamster
    hanch hand hangar hanneton hant happ harangu haras harass harcel harcèl hard hareng hargn
    haricot harnai harp hasard hât hauban hauss haut havre hein henn hériss hernie héron héros hêtre
    heurt hibou hideu hiérarch hippie hiss hit hobb hoch hockey holland homard hongr hont hop hoquet
    hors hotte houblon houe houill houle houpp hourra houspill housse houx hublot huche huée
    huguenot huit hurl hussard hutte onz oui uhlan
    """
        )
    )
)
MUTE_H = ("hallucin", "haltér", "haltèr", "halog")  # exceptions to ASPIRATED_H
