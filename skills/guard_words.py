"""The word lists of `skills.guard`: how people try to steer a bot, and rude words. English, German and Chinese, ours.

An attempt needs two things near each other: what is to be done (ignore, reveal, pretend) and that it is about the bot's
own instructions or nature. One of them alone is how customers talk: ignore my last order, what are your rules for
returns.
"""

from __future__ import annotations

import re

_ORDERS_EN = (
    r"(?:(?:system|initial|original|hidden|secret|internal|developer|safety|core|previous|prior|preceding|earlier|above"
    r"|former|foregoing|past|existing|current|given|built-?in)\s+){0,3}"
    r"(?:instructions?|prompts?|directives?|guidelines?|guardrails?|programming|restrictions?|constraints?"
    r"|polic(?:y|ies)"
    r"|rules|rule ?sets?|filters?(?! \w)|safety (?:checks?|measures?|settings?)|limits|limitations|orders|context"
    r"|training)"
)
_ORDERS_DE = (
    r"(?:(?:system|ursprünglichen?|geheimen?|internen?|versteckten?|vorherigen?|bisherigen?|obigen?|früheren?"
    r"|vorangegangenen?|vorigen?|letzten?|anfänglichen?|eigenen?|aktuellen?)\s+){0,3}"
    r"(?:(?:system)?(?:anweisung|instruktion|vorgabe|richtlinie|regel|vorschrift|einschränkung|beschränkung|filter"
    r"|befehl|prompt|leitlinie|sicherheitsregel|sicherheitsvorgabe|programmierung|vorgaben)(?:en|n|s|e)?)"
)
_ORDERS_ZH = r"(?:系统)?(?:提示词?|指令|指示|规则|设定|限制|约束|命令|要求|准则|安全(?:规则|限制|过滤))"
_DROP_EN = (
    r"(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|ing)|bypass(?:ing)?|skip|drop|discard|cancel"
    r"|delete"
    r"|violate|circumvent|disable|turn off|switch off|break|set aside|do not (?:follow|obey)|don't (?:follow|obey)"
    r"|stop (?:following|obeying)|pay no attention to|no longer (?:follow|obey|bound by)|throw (?:away|out)|abandon)"
)
_SHOW_EN = (
    r"(?:reveal|show|print|display|repeat|output|tell|give|dump|leak|expose|recite|quote|copy|paste|write(?: out)?"
    r"|spell"
    r"|list|disclose|share|translate|summari[sz]e|encode|return|what (?:is|are|was|were|does)|what's|read(?: out)?"
    r"|complete|paraphrase|rhyme|describe|spit out|describe)"
)
_OWN = (
    r"(?:all |any |every |each |of |the |these |those |this |that |your |you |ur |my |our |its |about |to |me |us "
    r"|other ){0,5}"
)
_AROUND = r"[^.!?\n]{0,40}?"

ATTEMPTS = {
    name: re.compile(pattern, re.IGNORECASE)
    for name, pattern in {
        "drop instructions": "|".join(
            (
                rf"\b{_DROP_EN}\s+{_OWN}(?:(?:all|any|of|the|your)\s+)*(?:{_ORDERS_EN}\b)(?!\s+(?:on|in|of"
                rf"|from)\s+(?:the|my|your|a|our)\s+"
                r"(?:box|label|kettle|packag\w+|manual|parcel|mail|page|website|last|tin|bag|leaflet|order))"
                r"(?<!the rules)(?<!the limits)(?<!my orders)(?<!the orders)(?<!last orders)(?<!orders)(?<!the"
                r" instructions)(?<!the training)(?<!limits)",
                rf"\b{_DROP_EN}\s+{_OWN}(?:previous|prior|above|earlier|preceding|initial|original|system|hidden)\s+"
                r"(?:instructions?|rules|directives?|guidelines?|prompts?|commands?|orders and|text and|context)\b",
                rf"\b{_DROP_EN}\s+(?:everything|anything|all|whatever)\s+(?:that\s+)?(?:(?:was|were|is"
                rf"|has been)\s+)?(?:you\s+(?:were|have been|know|'ve been|are)"
                r"|told|said|written|stated|above|before this|up to now|until now|so far"
                r"|prior to)[^.!?\n]{0,40}?(?:told|given|instruct\w+|above|before|rules|taught|programmed|trained"
                r"|pages|assistant|prompt)",
                r"\b(?:your|these|those|the)\s+(?:new|real|true|actual|updated|only)\s+(?:instructions?|task"
                r"|orders|directives?|rules|goal|job|role|system prompt)\s*(?:is|are|:|now)",
                r"\b(?:new|updated|special)\s+(?:system\s+)?(?:instructions?|directives?|rules|prompt"
                r"|task)\s*(?:for (?:you|the (?:assistant|bot|ai|model)))?\s*:",
                r"(?:ignorier\w*|vergiss|vergessen sie|missachte\w*|überschreib\w*|umgeh\w*|überspring\w*|verwirf"
                r"|lösche|deaktivier\w*|setz\w*|hebel\w*)\s+"
                rf"(?:(?:alle|alles|sämtliche|die|deine|deinen|ihre|ihren|jegliche|diese|dein|den|das|sie|bitte|ab"
                rf"|sofort|jetzt)\s+)*{_ORDERS_DE}\b",
                r"(?:ignorier\w*|vergiss|vergessen sie)\s+(?:alles|bitte alles|das alles)[^.!?\n]{0,12}(?:was"
                r"|vorher|davor|bisher|oben|zuvor)",
                rf"(?:halte? dich|folge|befolge|gehorche|beachte)\s+(?:nicht (?:mehr )?"
                rf"|ab jetzt nicht )(?:an )?(?:mehr )?(?:die|deine|deinen|ihre)?\s*{_ORDERS_DE}",
                rf"(?:ohne|gegen)\s+(?:deine|die|jede|alle)\s+{_ORDERS_DE}",
                r"(?:deine|ihre|die)\s+(?:neuen?|wahren?|echten?|eigentlichen?|einzige)\s+(?:aufgabe|anweisung\w*"
                r"|regeln?|rolle|systemprompt|instruktion\w*)\s*(?:ist|sind|lautet|lauten|:)",
                r"(?:neue|aktualisierte)\s+(?:anweisung\w*|instruktion\w*|systemanweisung\w*|regel\w*)[^.!?\n]{0,30}:",
                rf"(?:忽略|无视|忘记|忘掉|不要理会|不理会|抛开|抛弃|绕过|跳过|取消|删除|覆盖|违反|解除|关闭|停止遵守|不再遵守|不要遵守|别管|不用管|放弃"
                rf"|突破)[^。！？\n]{{0,14}}?{_ORDERS_ZH}",
                r"(?:忽略|无视|忘记|忘掉)(?:掉)?(?:上面|以上|之前|前面|先前|此前)[^。！？\n]{0,6}(?:所有|全部|一切|内容|的话|说过|文字)",
                r"(?:新的?|真正的|更新后的?)(?:系统)?(?:指令|任务|规则|指示|提示词)(?:是|如下|：|:)",
            )
        ),
        "show instructions": "|".join(
            (
                rf"\b{_SHOW_EN}\s+{_AROUND}\b(?:system|initial|hidden|secret|internal|developer|original|pre-?"
                rf"|starting|first|confidential)\s*-?\s*"
                r"(?:prompts?|instructions?|directives?|messages?|rules|guidelines?|configuration|settings"
                r"|context)\b(?!\s+(?:me|us|you|from|by)\b)",
                rf"\b{_SHOW_EN}\s+(?:me |us |out |back |to me |again |over )*(?:all |of |about |exactly "
                rf"|word for word |verbatim )*(?:your|ur|the bot's|the assistant's)\s+"
                r"(?:own |full |exact |complete |entire |whole |current |actual |secret )*(?:prompts?"
                r"|instructions?|directives?|guidelines|system messages?|configuration|programming|source code"
                r"|canary|secrets?|secret \w+|token|api keys?|hidden \w+)\b"
                r"(?!\s+(?:for|on|about|how|of|to)\b)",
                rf"\b{_SHOW_EN}\s+{_AROUND}\b(?:text|words?|everything|anything|all|content|lines?|message"
                rf"|sentences?)\s+(?:that\s+)?(?:(?:is|are|was|were|stands?|comes?|came|appears?|you (?:were"
                rf"|have been) (?:given|told))\s+)?(?:written\s+)?(?:above|before (?:this|my|our|the (?:first"
                rf"|user))|in (?:your|the) (?:prompt|context|system))",
                r"\b(?:rules|guidelines|instructions|directives|orders) (?:that )?you (?:were|have been|are|got"
                r"|received)\b|\b(?:of|in|from) your (?:prompt|instructions|system message)\b"
                r"|\bline of your (?:prompt|instructions)",
                r"\b(?:system|hidden|developer|master) ?prompts?\b(?!\s+(?:me|us|you|delivery|service|reply"
                r"|answer)\b)|\bcanary\b(?! (?:islands?|wharf|yellow|birds?))|\bprompt leak|\bapi[ _-]?keys?\b"
                r"|\byour training data\b",
                r"\bwhat (?:were|was|are) you (?:told|instructed|programmed|prompted|given)\b|\bhow (?:were"
                r"|are) you (?:instructed|prompted|programmed)\b",
                r"\brepeat (?:everything|all|the words|the text|the above|what (?:is|was) (?:above|before))\b"
                r"|\bstarting with [\"“']?you are\b",
                r"(?:zeig\w*|nenn\w*|verrate?n?|gib|gebe?n?|druck\w*|wiederhol\w*|schreib\w*|sag\w*|liste?"
                r"|übersetz\w*|kopier\w*|offenbar\w*|wie laute\w*|was (?:ist|sind|steht)|fasse?|lies)"
                r"[^.!?\n]{0,40}?(?:system-?\s?prompt|systemanweisung\w*|system-?nachricht|systemtext"
                r"|geheim\w* (?:anweisung\w*|wort|regel\w*|text|code|instruktion\w*)|intern\w* (?:anweisung\w*"
                r"|regel\w*|richtlinie\w*|instruktion\w*)"
                r"|(?:deine|ihre|eure)[nr]? (?:\w+ )?(?:anweisung\w*|instruktion\w*|vorgaben|prompts?"
                r"|programmierung|konfiguration|systemregeln)|versteckt\w* (?:text|anweisung\w*|wort|regel\w*))",
                r"system-?\s?prompt(?!s\b)|systemanweisung|kanarien\w*wort|dein\w* quellcode|api-?schlüssel",
                r"(?:wiederhol\w*|zeig\w*|gib|schreib\w*)\s+(?:\w+\s+){0,3}(?:alles|den text|die worte"
                r"|wörter)[^.!?\n]{0,30}(?:oben|über dies\w*|davor|vorher|vor dieser)",
                r"(?:显示|告诉|说出|打印|输出|重复|透露|泄露|公开|给我|列出|翻译|复述|展示|写出|看看|总结|背)[^。！？\n]{0,14}?(?:系统(?:提示|指令|消息|设定|规则)"
                r"|提示词|隐藏(?:的)?(?:指令|内容|词|规则|文字|设定)|内部(?:指令|规则|设定|提示|说明)|秘密(?:指令|词|口令|代码)|(?:你|您)的(?:初始|原始|全部"
                r"|所有)?(?:指令|设定|指示|源代码|配置|开发者消息))",
                r"(?:把|将)(?:你|您)的(?:全部|所有|内部)?(?:指令|指示|设定|提示词?|规则|配置)(?:翻译|发|写|贴|说|告诉|输出|复制)",
                r"系统提示词?|提示词是什么|金丝雀词?|(?:上面|以上|之前)(?:的)?(?:所有|全部)(?:内容|文字|文本)",
                r"(?:你|您)(?:收到|得到|被给)(?:了|的|过)?(?:什么|哪些|的)?(?:初始|系统)?(?:指令|指示|设定|提示)",
            )
        ),
        "another role": "|".join(
            (
                r"\b(?:you are|you're|you will be|u are)\s+(?:now|from now on|no longer|henceforth"
                r"|hereby)\s+(?:an? |the |my |in |acting |called |known |free |going |to |bound |only |also )*"
                r"(?:dan\b|assistant|bot\b|ai\b|model|chatgpt|hacker|developer|admin\w*|root|unrestricted"
                r"|jailbroken|free|evil|pirate|character|shell|terminal|linux|machine|system|mode|poet|translator"
                r"|unlimited|uncensored|a different|another)",
                r"\b(?:pretend|act|behave|respond|answer|reply|role-?play|imagine|simulate|speak)\s+(?:as|like"
                r"|to be|that|being|you(?:'re| are)?)\s*(?:if |though |you |were |are |be |an? |the |my |as )*"
                r"(?:no (?:restrictions?|rules|limits|filters?)|without (?:restrictions?|rules|limits|filters?)"
                r"|unrestricted|uncensored|another (?:ai|bot|assistant|model)|different (?:ai|bot|assistant|model)"
                r"|dan\b|evil|hacker|root|admin(?:istrator)?\b|terminal|linux|a? ?shell\b|sql|python|database"
                r"|developer|system administrator|jailbroken|chatgpt|opposite|malicious|human employee|(?:shop"
                r"|store) (?:owner|manager)|my (?:late )?grand\w+)",
                r"\b(?:you have|you'd have|having|with|pretend|imagine|assume)\s+(?:\w+\s+){0,3}(?:no (?:rules"
                r"|restrictions|limits|filters|boundaries)|without (?:rules|restrictions|limits|filters"
                r"|boundaries))",
                r"\b(?:an? )?(?:ai|bot|assistant|model|chatbot)\s+(?:without|with no)\s+(?:any )?(?:restrictions?"
                r"|rules|limits?|filters?|boundaries)|\bunrestricted (?:assistant|ai|bot|model)\b|\bbypass (?:all "
                r"|the |any |every )?(?:checks?|safety|security|confirmations?)",
                r"\bfrom now on,? you(?:'re| are)? (?:an? |the |my )?(?:\w+ )?(?:pirate|bot|ai|assistant|hacker"
                r"|cat|character|clerk|person|robot|terminal)",
                r"\b(?:jailbreak\w*|dan mode|developer mode|god mode|debug mode|maintenance mode|admin mode|sudo"
                r"|root access|unrestricted mode|do anything now|test mode)\b",
                r"(?:du bist|sie sind|bist du|ihr seid)\s+(?:jetzt|nun|ab jetzt|ab sofort|von nun an"
                r"|nicht mehr)\s+(?:ein\w*|der|die|das|im|kein\w*|mein\w*|frei|an)\b[^.!?\n]{0,30}(?:bot|assistent"
                r"|ki\b|modell|hacker|pirat|entwickler|admin|modus|mensch|shell|terminal|einschränk\w*|regeln?"
                r"|dan\b|unbeschränkt\w*|gebunden)",
                r"(?:tu so|tun sie so|stell dir vor|verhalte? dich|antworte|spiel\w*|simulier\w*|agiere"
                r"|benimm dich)[^.!?\n]{0,30}(?:ohne (?:regeln|einschränk\w*|filter|grenzen)|unzensiert"
                r"|keine (?:regeln|einschränk\w*|filter|grenzen)|hacker|admin\w*|terminal|entwickler(?:modus)?"
                r"|andere ki|böse\w*|dan\b|root)",
                r"entwicklermodus|wartungsmodus|debug-?modus|admin-?modus|testmodus|gott-?modus"
                r"|als administrator befehle",
                r"(?:你|您)(?:现在|从现在起|从现在开始|今后|不再)(?:是|扮演|就是|变成|受|进入)?[^。！？\n]{0,12}(?:黑客|管理员|约束|没有(?:限制|约束|规则)|无限制"
                r"|不受限制|开发者|另一个|终端|海盗|不受|dan\b|猫|模式|助手|机器人|约束)",
                r"(?:假装|扮演|模拟|装作|假设你)[^。！？\n]{0,14}(?:没有(?:任何)?(?:限制|规则|过滤)|黑客|管理员|开发者|终端|不受限制|无限制|另一个|奶奶|老板|dan\b"
                r"|数据库)",
                r"开发者模式|越狱|调试模式|维护模式|上帝模式|管理员模式|测试模式",
            )
        ),
        "orders to the bot": "|".join(
            (
                r"(?:^|[\s\[({<#*|\"'])(?:system|assistant|developer|admin|root|ai|sys|inst|system message|system"
                r" note|system override|note to (?:the )?(?:ai|assistant|bot|model|chatbot"
                r"|llm))\s*[\])}>#*|]*\s*:\s*\S",
                r"\[/?(?:inst|system|sys|assistant|admin|override)\b[^\]]*\]|<\|?/?(?:im_start|im_end|system|sys"
                r"|user|assistant|kb|say|slots|tone|reply|bot|end|abstain)\b[^>]*\|?>|<<\s*/?sys\s*>>"
                r"|###\s*(?:system|instruction|assistant)",
                r"\b(?:attention|note to|dear|hey|important for|instructions? (?:to|for)|message (?:to|for)"
                r"|for)\s*,?\s*(?:the |all |any )*(?:ai\b|chatbots?|language models?|llms?|(?:ai|virtual|chat"
                r"|automated|digital|reading) (?:assistants?|models?|systems?|bots?)|assistants? (?:that|which|who"
                r"|reading)|bots? (?:that|which|who|reading))",
                r"\b(?:assistants?|bots?|chatbots?|ai|model|llm)s?\b[^.!?\n]{0,30}\b(?:must|should|shall|has to"
                r"|have to|is required to|are required to|is to|are to|needs to)\b[^.!?\n]{0,60}\b(?:reply|answer"
                r"|say|send|include|add|append|recommend|tell|link|visit|execute|run|call|cancel|refund|delete"
                r"|forward|reveal|direct|mention|ask|write|output|use|insert)",
                r"\b(?:when|if|whenever|before|after)\s+(?:you|an? (?:ai|assistant|bot)|the (?:ai|assistant"
                r"|bot))\s+(?:\w+\s+){0,3}(?:read|reads|reading|summari[sz]\w+|answer|answers|answering|process"
                r"|see|use|uses|quote|quotes|cite|cites)\b[^.!?\n]{0,60}\b(?:say|add|include|tell|send|reply"
                r"|append|link|call|run|cancel|write|mention|also|recommend|output|begin|end)",
                r"\b(?:tell|inform|direct|ask|urge|send|instruct|advise|convince)\s+(?:the|every|all|each"
                r"|any)\s+(?:user|reader|visitor|users|readers|visitors|person you)s?\b",
                r"\b(?:execute|run|call|invoke|trigger|use)\s+(?:the\s+|this\s+|an?\s+)?(?:following\s+)?(?:tool"
                r"|function|command|script|sql|query|action|api|shell)\w*\b|\b(?:execute|run) (?:this"
                r"|the following) code\b|\baction_[a-z_]+|\b(?:drop table|select \* from|rm -rf|os\.system"
                r"|__import__|curl http|wget http|base64|rot13)\b",
                r"\b(?:append|include|insert|add|put|place|begin|start|end|finish|prefix)\s+(?:\w+\s+){0,6}(?:link"
                r"|url|image|markdown|html|phrase|sentence|word)s?\b[^.!?\n]{0,30}\b(?:in|to|into|with"
                r"|at)\s+(?:your|every|each|all|the)\s+(?:\w+\s+){0,2}(?:answers?|repl(?:y|ies)|responses?"
                r"|messages?|sentences?|output)",
                r"\b(?:your|every|each|all|next)\s+(?:answers?|repl(?:y|ies)|responses?|output"
                r"|messages?)\s+(?:must|should|shall|has to|have to|will)\s+(?:\w+\s+){0,3}(?:begin|start|contain"
                r"|include|end|consist|link|say|point)",
                r"\b(?:end|begin|start|finish|close|sign) (?:every|each|all|your)(?: of your)? (?:answers?"
                r"|repl(?:y|ies)|messages?|responses?)\b|\bmarkdown image\b|\b(?:add|include|insert"
                r"|put) the (?:sentence|phrase|words|text)\b[^.!?\n]{0,90}\b(?:to|in|into) your (?:reply|answer"
                r"|response|message)",
                r"\bdisregard (?:the|everything|all|anything) (?:above|before|said)\b|!\[[^\]]*\]\(\s*(?:https?:)?//",
                r"\b(?:beende|beginne|schließe)\w* (?:ab jetzt |ab sofort |bitte )*(?:jede|alle"
                r"|deine)\w* (?:antwort|nachricht)\w*|\bfüge?n? (?:sie )?den (?:satz|text"
                r"|link)\b[^.!?\n]{0,90}\b(?:antwort|nachricht)\w*|\b(?:jede[rnm]?|alle[nr]?) (?:deiner "
                r"|seiner )?(?:antwort|nachricht)(?:en)?\b[^.!?\n]{0,30}\b(?:verweis|enthalt|nenn|schreib)\w*",
                r"\b(?:das modell|die ki|der bot|der assistent|alle bots|bots)\b[^.!?\n]{0,60}?\b(?:soll(?:en)?"
                r"|muss|müssen|hat)\b|\baction_\w+|\bfunktion \w+_\w+|keine regeln mehr",
                r"(?:^|[\s\[(#*\"'„])(?:systemnachricht|systemmeldung|systemhinweis|anweisung an (?:die ki|den bot"
                r"|den assistenten|das modell)|hinweis (?:an|für) (?:die ki|den bot|den assistenten|das modell"
                r"|ki\w*)|achtung (?:ki|bot|assistent))\b",
                r"\b(?:die|der|das|jede|jeder|den)?\s*(?:ki|bot|assistenten?|chatbot|sprachmodell"
                r"|modell)\b[^.!?\n]{0,30}(?:muss|soll|sollte|hat zu|müssen|sollen)\b[^.!?\n]{0,70}(?:antworten"
                r"|sagen|senden|einfügen|hinzufügen|empfehlen|verlinken|ausführen|stornieren|erstatten|löschen"
                r"|weiterleiten|nennen|verweisen|schreiben|aufrufen|ausgeben)",
                r"(?:wenn|falls|sobald)\s+(?:du|sie|ein assistent|die ki|der bot)\s+(?:\w+\s+){0,4}(?:liest|lesen"
                r"|beantwort\w*|zitier\w*|zusammenfass\w*|verwend\w*)[^.!?\n]{0,70}(?:sag|füg|schreib|antworte"
                r"|nenn|send|empfiehl|verlink|ruf|stornier|erwähn)",
                r"(?:führe?|rufe?)\s+(?:\w+\s+){0,5}(?:befehl|funktion|werkzeug|tool|aktion|code|skript"
                r"|kommando)\w*\s*(?:\w+\s*){0,3}(?:aus|auf)\b",
                r"(?:jede|deine|alle)\s+(?:\w+\s+)?(?:antwort\w*|nachricht\w*)\s+(?:muss|soll|müssen|sollen"
                r"|beginn\w*|end\w*)",
                r"(?:füge?|hänge?|setze?|schreibe?)\s+(?:\w+\s+){0,6}(?:link|url|bild|satz|wort|text"
                r"|adresse)\w*\s+(?:\w+\s+){0,3}(?:in|an|ans|unter|zu|hinter|ein|hinzu)\s*(?:jede|deine|alle"
                r"|das ende|deiner)?",
                r"(?:系统消息|系统指令|管理员指令|开发者消息|给(?:AI|人工智能|助手|机器人|模型)的(?:指示|指令|说明|提示)|(?:AI|助手|机器人|模型)(?:请)?注意|系统|管理员"
                r"|助手)\s*[:：]\s*\S",
                r"(?:助手|机器人|模型|AI|人工智能)[^。！？\n]{0,12}(?:必须|应该|应当|需要|务必|要)[^。！？\n]{0,24}(?:回复|回答|说|发送|加上|附上|推荐|链接"
                r"|执行|取消|退款|删除|转发|调用|告诉|输出|插入|访问)",
                r"(?:当|如果|一旦)(?:你|您|助手|AI|机器人)[^。！？\n]{0,12}(?:读到|看到|引用|回答|总结|阅读)[^。！？\n]{0,24}(?:说|加|附|回复|告诉|发送"
                r"|调用|执行|写|推荐)",
                r"(?:执行|运行|调用)(?:以下|这个|下面|下列)?(?:的)?(?:命令|代码|函数|工具|脚本|操作|接口|指令|SQL)",
                r"(?:每(?:个|次|条|一[个次条])|所有|下一(?:个|条|次))(?:的)?(?:回答|回复|答复|消息)(?:都|里|中)?(?:必须|要|应该|需要|以|加)",
                r"(?:告诉|引导|通知|说服|让)(?:每个|所有|每一位|任何)(?:用户|读者|访客|顾客|客户)",
            )
        ),
    }.items()
}
"""What people try, by name, with the pattern that finds it in a text whose space is single spaces."""

RUDE = re.compile(
    r"\b(?:fuck\w*|motherfuck\w*|shit(?:ty|head)?|bullshit|bitch(?:es)?|bastards?|assholes?|arseholes?|cunts?"
    r"|dickheads?|wankers?|whores?|sluts?"
    r"|retards?|retarded|faggots?|nigg(?:er|a)s?|twats?|piss off|moron|morons|idiots?|stupid customer"
    r"|scheiß\w*|scheiss\w*|arschl[oö]ch\w*|fotze\w*|hurensohn\w*|wichser\w*|miststück\w*|schlampe\w*|verpiss\w*"
    r"|fick\w*|idiot\w*|vollidiot\w*|missgeburt\w*|spast\w*)\b"
    r"|傻[逼比屄bB]|操你|草泥马|他妈的|妈的|去死|王八蛋|混蛋|白痴|贱人|婊子|滚蛋|脑残|狗屎|废物"
)
"""Rude words in small letters. Kept small: what a wording engine of approved text may never say."""
