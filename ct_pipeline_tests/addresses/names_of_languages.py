"""Names of many languages as they are spelt in addresses (data)."""

from ct_pipeline_tests.addresses.local_parts import NameList


def _names(first: str, last: str, words: str = "") -> NameList:
    return NameList(tuple(first.split()), tuple(last.split()), tuple(words.split()))


NAMES: dict[str, NameList] = {
    "English": _names(
        "oliver charlotte jack emily harry grace thomas matthew wyatt brooklyn hudson phoebe graham heather kristen",
        "wright thompson knight hughes phillips mcdonald fitzgerald bradshaw schwartz shaw lynch swift",
        "dragon shadow wizard football guitar sunshine cowboy princess tiger midnight",
    ),
    "Spanish": _names(
        "guadalupe alejandro ximena joaquin montserrat ignacio jorge rocio enrique belen itziar iker gonzalo",
        "rodriguez hernandez gutierrez zuniga echeverria jimenez quintero urrutia villalobos ybarra vazquez",
        "guapa lobo estrella corazon fuego futbol",
    ),
    "Portuguese": _names(
        "joao thiago guilherme beatriz luiza raquel henrique vinicius wellington jessica larissa otavio",
        "carvalho guimaraes figueiredo magalhaes albuquerque nascimento cavalcanti xavier teixeira",
        "saudade coracao bonito",
    ),
    "French": _names(
        "guillaume veronique francois mathilde thibault gwenaelle jacques sylvie yannick solene aurelien loic",
        "lefebvre rousseau beauchamp gauthier leclercq desrochers bouchard guerin vasseur le.goff duquesne",
        "chocolat papillon soleil",
    ),
    "German": _names(
        "jurgen wolfgang friedrich heidrun gottfried kathrin matthias ulrike detlef siegfried gretchen joachim",
        "schroeder zimmermann kirchhoff muellerschoen brecht pfeiffer hofmann wuerth scholz",
        "sternschnuppe schmetterling katze",
    ),
    "Italian": _names(
        "giuseppe francesca guglielmo ludovica pierluigi ghita chiara graziano donatella gianluca beatrice ilaria",
        "esposito bianchi zaccagnini ferragamo sgarbi gentileschi mastroianni",
        "ciao stella amore",
    ),
    "Dutch": _names(
        "joris wouter geertje sjoerd maaike pieter hendrik fleur thijs nienke ruud tjitske",
        "dijkstra vandenberg hoekstra schouten kuijpers verschuren",
        "voetbal vlinder zonnetje",
    ),
    "Polish": _names(
        "grzegorz malgorzata zbigniew katarzyna wojciech agnieszka przemyslaw elzbieta krzysztof bozena jedrzej",
        "wisniewski kowalczyk szymanska brzezinski chrzanowski jablonska pszczola",
    ),
    "Turkish": _names(
        "mehmet aysegul ozgur gulsah oguzhan kubilay tugce burak serkan nurgul",
        "yildirimoglu kocabas ozturk gunduz karabulut erdogdu tasdemir akgun",
    ),
    "Hindi": _names(
        "rajesh priyanka abhishek lakshmi siddharth jyotsna vijay shraddha dhruv bhavna",
        "chaturvedi srivastava deshmukh venkataraman krishnamurthy khurana bhardwaj mukherjee",
        "cricket bollywood masti",
    ),
    "Arabic": _names(
        "mohammed abdulrahman khadija youssef zainab mustafa fatimah hussein ghassan",
        "abdelfattah alqahtani bouazizi shehata haddad khalifa alzahrani",
        "habibi",
    ),
    "Indonesian": _names(
        "bambang siti ngurah wahyuningsih dwi agung nyoman ketut joko",
        "nugroho simanjuntak purnomo situmorang hutapea sudirgo",
    ),
    "Vietnamese": _names(
        "phuong thuy nghia khanh huyen truong ngoc trinh dung vuong",
        "nguyenvan phamthi hoangtrung tranquoc dangthuy vuthanh dinhxuan",
    ),
    "Russian": _names(
        "dmitriy ekaterina vsevolod svyatoslav nadezhda vyacheslav lyudmila",
        "kuznetsov vishnevskaya shcherbakov yevtushenko mikhalkova zaytsev",
    ),
    "Chinese": _names(
        "xiaoming guangzhou junjie qiuyue wenjing zihan mengyao jianguo",
        "zhang huang zheng xiong jiang qian zhao liang",
    ),
    "Japanese": _names(
        "ryunosuke chihiro shinichi megumi yoshitsugu natsuki hyogo kyoko",
        "matsushita kobayashi takahashi hashimoto fujimoto shibuya miyazaki",
    ),
    "Korean": _names(
        "jihyun minseok seunghwan yeonwoo sooyoung jungkook gyeongmin",
        "choi hwang kwon seo gwak cheon",
    ),
}

# Names that the model was not trained with, of all these languages and of some more.
UNSEEN = _names(
    "tamsin cuthbert ottoline enguerrand xochitl nekane txomin kauan tatiane schorsch waldtraud domitilla sjoukje "
    "bauke zdzislawa swietoslaw yagmur cigdem harshvardhan jignesh meenakshi tareq shaimaa nourhan retno "
    "sulistyowati quynh yevgeniya grigoriy ksenia zhiqiang yuxuan tsuyoshi kazuhiro hyejin kyungsoo taehyung "
    "oluwaseun llywelyn bjornstjerne gwenllian thanaporn mariyam gulnara ",
    "ramsbottom higginbotham featherstone oglethorpe wigglesworth thistlewood whitfield pryce quemener desroziers "
    "goikoetxea etxebarria zubizarreta iturralde queiroz fagundes kretschmann oberhuber pfannenstiel "
    "schwarzenegger guerrieri quaglia tagliaferri zanzottera sijbrandij kloosterman terpstra wijnands "
    "wrzesniewski zdrojewska gorczyca szczygielska buyukyilmaz sahinoglu cetinkaya jhunjhunwala bhattacharya "
    "alghamdi elsayed benjelloun almutairi wijayakusuma kusumawardhani widyastuti nguyenthi phanngoc zhukovskiy "
    "tchaikovsky khrushchev ouyang zhuge nakatsugawa tsukahara jeong namgung papadopoulos oyelaran gwynedd "
    "kjaergaard thorvaldsen szentgyorgyi kovacsik lukashenko saakashvili hakobyan ",
)
